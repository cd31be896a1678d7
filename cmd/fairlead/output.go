package main

import (
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/fairlead-iot/fairlead/devices"
)

// print writes one message in the format asked for.
func (s *subscriber) print(m *devices.Message) error {
	if s.options.format == "json" {
		return s.printJSON(m)
	}
	if s.options.verbose {
		if _, err := s.out.WriteString(m.Topic + " "); err != nil {
			return err
		}
	}
	_, err := s.out.Write(m.Payload)
	if err == nil && !s.options.noNewline {
		err = s.out.WriteByte('\n')
	}
	return err
}

// printed is a message as JSON. The payload is text where it is UTF-8, and
// base64 otherwise.
type printed struct {
	Time          string     `json:"time"`
	Topic         string     `json:"topic"`
	QoS           byte       `json:"qos"`
	Retain        bool       `json:"retain"`
	Dup           bool       `json:"dup,omitempty"`
	Payload       *string    `json:"payload,omitempty"`
	Base64        []byte     `json:"payload_base64,omitempty"`
	Size          int        `json:"size"`
	UTF8          bool       `json:"utf8,omitempty"`
	ContentType   string     `json:"content_type,omitempty"`
	ResponseTopic string     `json:"response_topic,omitempty"`
	Correlation   []byte     `json:"correlation_base64,omitempty"`
	Expiry        *uint32    `json:"expiry_seconds,omitempty"`
	User          [][]string `json:"user,omitempty"` // pairs: names may come twice, and have an order
	SubIDs        []uint32   `json:"subscription_ids,omitempty"`
}

func (s *subscriber) printJSON(m *devices.Message) error {
	p := printed{
		Time: time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), Topic: m.Topic, QoS: m.QoS, Retain: m.Retain, Dup: m.Dup,
		Size: len(m.Payload), UTF8: m.UTF8, ContentType: m.ContentType, ResponseTopic: m.ResponseTopic,
		Correlation: m.CorrelationData, SubIDs: m.SubscriptionIDs,
	}
	if utf8.Valid(m.Payload) {
		text := string(m.Payload)
		p.Payload = &text
	} else {
		p.Base64 = m.Payload
	}
	if m.HasExpiry {
		p.Expiry = &m.Expiry
	}
	for _, u := range m.User {
		p.User = append(p.User, []string{u.Name, u.Value})
	}
	e := json.NewEncoder(s.out)
	e.SetEscapeHTML(false)
	return e.Encode(p)
}

// plural counts messages.
func plural(n int) string {
	switch n {
	case 0:
		return "no message"
	case 1:
		return "1 message"
	}
	return fmt.Sprintf("%d messages", n)
}
