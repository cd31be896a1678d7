package mqtt

import (
	"testing"

	"github.com/fairlead-iot/fairlead/mqtt/packet"
)

// TestPropertiesMadeLater: they are told to be no larger than they are once made.
func TestPropertiesMadeLater(t *testing.T) {
	var p packet.Publish
	for range 3 {
		if told, made := (later{&p}).Size(), (later{&p}).Properties().Size(); told > made || told == 0 && made > 0 {
			t.Errorf("told %d bytes, made %d", told, made)
		}
		p.Properties.SetContentType([]byte("text/plain"))
		p.Properties.SetCorrelationData([]byte{1, 2, 3})
		p.Properties.AddUser([]byte("name"), []byte("value"))
	}
}
