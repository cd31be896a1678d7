package rules

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// What becomes of what the database refuses for good.
const (
	RefusedDrop = "drop" // whoever waits for it is told of a failure
	RefusedKeep = "keep" // it counts as done once it is in the file of refusals, on disk
)

// Refusal is one line of the file of refusals, as JSON: a job that the database of a pool
// will never do, with all that is known of it. What a job does not have is left out.
type Refusal struct {
	Time     time.Time `json:"time"` // of the refusal
	Pool     string    `json:"pool"` // BACKEND.POOL
	Rule     string    `json:"rule"` // hook, topic and function
	Error    string    `json:"error"`
	Hook     Hook      `json:"hook"`
	At       time.Time `json:"at"` // of what happened
	ClientID string    `json:"clientid,omitempty"`
	Username string    `json:"username,omitempty"`
	Protocol string    `json:"protocol,omitempty"`
	Peer     string    `json:"peerhost,omitempty"`
	Topic    string    `json:"topic,omitempty"`
	QoS      uint8     `json:"qos"`
	Retain   bool      `json:"retain,omitempty"`
	MsgID    string    `json:"msgid,omitempty"`
	Payload  []byte    `json:"payload,omitempty"` // base64
}

func newRefusal(p *pool, r *planned, j *Job, err error) *Refusal {
	x := &Refusal{Time: time.Now().UTC(), Pool: p.name, Rule: r.name(), Error: err.Error(), Hook: r.Hook, At: time.UnixMilli(j.Time).UTC(),
		ClientID: j.ClientID, Username: j.Username, Protocol: j.Protocol, Peer: j.Peer, Topic: j.Topic, QoS: j.QoS}
	if m := j.Message; m != nil {
		x.Retain, x.MsgID, x.Payload = m.Retain, m.MsgID, m.Payload
	}
	return x
}

// refusals is the file of a pool's refusals. It is opened anew for each, so that whoever
// has read it may move it away at any time.
type refusals struct {
	path string // "" for none
	most int64
	turn chan struct{} // holds one while somebody writes
}

func newRefusals(dir, name string, most int64) *refusals {
	f := &refusals{most: most, turn: make(chan struct{}, 1)}
	if dir != "" {
		f.path = filepath.Join(dir, name+".jsonl")
	}
	return f
}

// keep has x on disk when it gives nil. It blocks for two fsyncs, and for those of others.
func (f *refusals) keep(x *Refusal) error {
	if f.path == "" {
		return errors.New("there is no directory for it")
	}
	line, err := json.Marshal(x)
	if err != nil {
		return err
	}
	f.turn <- struct{}{}
	defer func() { <-f.turn }()
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return err
	}
	if err := f.append(append(line, '\n')); err != nil {
		return err
	}
	return syncDir(filepath.Dir(f.path)) // it may be a new file, as the old one was moved away
}

// append writes a line behind what stands there; one that a crash has cut off gets its end.
func (f *refusals) append(line []byte) (err error) {
	file, err := os.OpenFile(f.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	size, err := file.Seek(0, io.SeekEnd)
	switch {
	case err != nil:
		return err
	case size+int64(len(line)) > f.most:
		return fmt.Errorf("%s has %d bytes, and refused_bytes are %d; move it away when it has been dealt with", f.path, size, f.most)
	}
	if last := [1]byte{'\n'}; size > 0 {
		if _, err := file.ReadAt(last[:], size-1); err != nil {
			return err
		} else if last[0] != '\n' {
			line = append([]byte{'\n'}, line...)
		}
	}
	if n, err := file.Write(line); err != nil {
		if n > 0 { // half a line is none
			file.Truncate(size)
		}
		return err
	}
	return file.Sync()
}

// syncDir makes the name of a new file permanent, where a system can.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
