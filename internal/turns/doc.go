// Package turns queues what strangers ask for, so that addresses have their turns one after
// the other: whoever asks for much waits behind itself. It imports nothing of ours.
//
//	var q turns.Queue[func()]
//	q.Add(peer, job, false)
//	if job, ok := q.Next(); ok {
//		job()
//	}
package turns
