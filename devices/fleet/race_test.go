//go:build race

package fleet

// raceDetector: memory is not what it is without.
const raceDetector = true
