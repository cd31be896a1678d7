package main

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fairlead-iot/fairlead/devices"
)

func TestJoinProperties(t *testing.T) {
	tests := []struct {
		name     string
		in, want []string
	}{
		{"own form", []string{"pub", "-D", "user=a=b", "-t", "x"}, []string{"pub", "-D", "user=a=b", "-t", "x"}},
		{"two words", []string{"pub", "-D", "publish", "content-type", "text/plain", "-m", "y"}, []string{"pub", "-D", "publish.content-type=text/plain", "-m", "y"}},
		{"three words", []string{"sub", "--property", "connect", "user-property", "n", "v", "-t", "x"}, []string{"sub", "-D", "connect.user-property=n=v", "-t", "x"}},
		{"another command", []string{"passwd", "-D", "publish", "a", "b"}, []string{"passwd", "-D", "publish", "a", "b"}},
		{"a packet as value of something else", []string{"pub", "-m", "publish", "-t", "x"}, []string{"pub", "-m", "publish", "-t", "x"}},
		{"cut short", []string{"pub", "-D", "publish", "content-type"}, []string{"pub", "-D", "publish", "content-type"}},
		{"nothing", nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := joinProperties(slices.Clone(tt.in)); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestApplyProperties(t *testing.T) {
	given := []string{
		"user=a=b=c", "publish.user=d=", "content-type=t/p", "response-topic=r", "correlation=xyz", "expiry=1m", "utf8=1",
		"connect.user=who=me", "will.content-type=w/p",
	}
	tests := []struct {
		packet string
		want   devices.Message
	}{
		{"publish", devices.Message{
			User:        []devices.UserProperty{{Name: "a", Value: "b=c"}, {Name: "d", Value: ""}},
			ContentType: "t/p", ResponseTopic: "r", CorrelationData: []byte("xyz"), Expiry: 60, HasExpiry: true, UTF8: true,
		}},
		{"connect", devices.Message{User: []devices.UserProperty{{Name: "who", Value: "me"}}}},
		{"will", devices.Message{ContentType: "w/p"}},
		{"subscribe", devices.Message{}},
	}
	for _, tt := range tests {
		t.Run(tt.packet, func(t *testing.T) {
			var m devices.Message
			if err := applyProperties(given, tt.packet, &m); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, m, cmpopts.IgnoreUnexported(devices.Message{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}
