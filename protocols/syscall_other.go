//go:build !linux

package protocols

import "runtime"

// giveWay lets others have the processor.
func giveWay() { runtime.Gosched() }
