//go:build !linux

package loop

// newKernel is the portable one: there is no other here.
func newKernel(l *Loop) (kernel, error) { return newPortable(l), nil }
