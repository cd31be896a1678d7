package protocols

// Datagrams gives copies of the datagrams of a.Out, in order: for what plays the edge
// in tests.
func (a *Actions) Datagrams() (all [][]byte) {
	from := 0
	for _, end := range append(a.ends[:len(a.ends):len(a.ends)], len(a.Out)) {
		if end > from {
			all = append(all, append([]byte(nil), a.Out[from:end]...))
		}
		from = end
	}
	return all
}
