package protocols

import "testing"

func TestListenersInKernelTable(t *testing.T) {
	table := []byte(`  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:075B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0
   1: 0100007F:075B 0100007F:A001 01 00000000:00000000 00:00000000 00000000     0        0 4243 1 0
   2: 0100007F:1F92 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4244 1 0
`)
	found := map[string]bool{}
	listenersIn(table, 1883, found)
	if len(found) != 1 || !found["socket:[4242]"] {
		t.Fatalf("found %v", found)
	}
}
