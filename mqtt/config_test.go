package mqtt

import (
	"strings"
	"testing"
)

func TestDefaultConfigIsValid(t *testing.T) {
	c := DefaultConfig()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
}

func TestConfigFaultsAreReportedTogether(t *testing.T) {
	c := DefaultConfig()
	c.MaxPacketSize, c.MaxConnectSize, c.MaxQoS = 1, 1<<30, 3
	c.MaxPropertyBytes, c.MaxUserProperties, c.MaxFilters = 0, 0, 0
	c.ResponseInformation = "\xff"
	err := c.Validate()
	if err == nil {
		t.Fatal("no fault found")
	}
	for _, key := range []string{"max_packet_size", "max_connect_size", "max_qos", "max_property_bytes",
		"max_user_properties", "max_filters", "response_information"} {
		if !strings.Contains(err.Error(), key+" = ") {
			t.Errorf("%s is missing in: %v", key, err)
		}
	}
}
