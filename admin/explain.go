package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/fairlead-iot/fairlead/core"
	"github.com/fairlead-iot/fairlead/core/topic"
)

const (
	defaultRecords = 100
	maxRecords     = 10_000
)

// record is core.Record as JSON.
type record struct {
	Seq       uint64 `json:"seq"`
	Time      string `json:"time"`
	Reason    string `json:"reason"`
	ClientID  string `json:"client_id,omitempty"`
	Publisher string `json:"publisher,omitempty"`
	Topic     string `json:"topic,omitempty"`
	MessageID uint64 `json:"message_id,omitempty,string"`
	QoS       uint8  `json:"qos"`
	Size      int    `json:"size"`
	Count     uint64 `json:"count"`
	Listener  string `json:"listener,omitempty"`
	Peer      string `json:"peer,omitempty"`
	Detail    string `json:"detail,omitempty"`
}

func recordOf(r *core.Record) record {
	return record{
		Seq: r.Seq, Time: clock(r.Time), Reason: r.Reason.String(), ClientID: r.ClientID,
		Publisher: r.Publisher, Topic: r.Topic, MessageID: r.MessageID, QoS: r.QoS, Size: r.Size,
		Count: max(r.Count, 1), Listener: r.Listener, Peer: r.Peer, Detail: r.Detail,
	}
}

// clock writes Unix milliseconds for people and programs.
func clock(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }

// explain answers why something did not go through, newest first.
func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	keep, limit, err := explainQuery(r.URL.Query(), time.Now())
	if err != nil {
		failBad(w, err)
		return
	}
	out := []record{}
	for _, rec := range s.opts.Source.Explain(limit, keep) {
		out = append(out, recordOf(&rec))
	}
	reply(w, http.StatusOK, map[string]any{"records": out})
}

// explainQuery turns the parameters into a filter of records.
func explainQuery(q url.Values, now time.Time) (keep func(*core.Record) bool, limit int, err error) {
	if err := known(q, "client", "topic", "reason", "since", "limit"); err != nil {
		return nil, 0, err
	}
	if limit, err = number(q, "limit", defaultRecords, maxRecords); err != nil {
		return nil, 0, err
	}
	since, err := moment(q, "since", now)
	if err != nil {
		return nil, 0, err
	}
	reason, err := reasonNamed(q.Get("reason"))
	if err != nil {
		return nil, 0, err
	}
	client, filter := q.Get("client"), q.Get("topic")
	if filter != "" {
		if _, err := (topic.Limits{}).ParseFilter(filter); err != nil {
			return nil, 0, badRequest(fmt.Sprintf("topic=%q is no topic filter: %v", filter, err), "")
		}
	}
	return func(r *core.Record) bool {
		return r.Time >= since &&
			(reason == core.Success || r.Reason == reason) &&
			(client == "" || r.ClientID == client || r.Publisher == client) &&
			(filter == "" || r.Topic != "" && (r.Topic == filter || topic.Match(filter, r.Topic)))
	}, limit, nil
}

// reasonNamed gives the reason of a name; Success stands for any.
func reasonNamed(name string) (core.Reason, error) {
	if name == "" {
		return core.Success, nil
	}
	for r := core.Success + 1; int(r) < core.ReasonCount; r++ {
		if r.String() == name {
			return r, nil
		}
	}
	return 0, badRequest(fmt.Sprintf("there is no reason %q", name), "the reasons are the labels of fairlead_reason_total in /metrics")
}
