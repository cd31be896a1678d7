package core

import "errors"

// Errors that stores return and core branches on, and one that core returns.
var (
	// ErrStoreBusy: the store's queue is full; try later.
	ErrStoreBusy = errors.New("store: too many commits under way")
	// ErrConflict: the session's stored epoch is not the expected one.
	ErrConflict = errors.New("store: session epoch conflict")
	// ErrStoreFull: no space is left; nothing was written.
	ErrStoreFull = errors.New("store: no space left")
	// ErrSinkFull: a sink that is Sync did not take an event.
	ErrSinkFull = errors.New("sink: queue full")
	// ErrPlace: a walk cannot go on there.
	ErrPlace = errors.New("the page before was of another filter, or of before the gateway was restarted")
	// ErrStoreClosed: the store was closed.
	ErrStoreClosed = errors.New("store: closed")
)
