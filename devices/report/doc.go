// Package report shows what a run of a fleet came to: to a person as a page of text, a
// comparison of brokers, a web page in one file or a status that is redrawn while the
// run goes on, and to a program as JSON, JSON lines or CSV. It measures nothing and
// judges only against the scenario's expectations; the runner fills a Run and owns it,
// and the functions here read it and keep nothing.
//
// A Run's JSON is a format that others rely on: names stay, units are in the names
// (…_ns are nanoseconds, …_bytes bytes, …_per_s a second), and a new field is no new
// format. Format rises when a field changes its meaning.
package report
