package coap

import (
	"slices"
	"testing"
	"testing/synctest"
)

// chapter is a group of scenes.
type chapter struct {
	name   string
	scenes []scene
}

func chapters() []chapter {
	return []chapter{
		{"Message", messageScenes()},
		{"Publish", publishScenes()},
		{"Read", slices.Concat(readScenes(), elsewhereScenes(), elsewhereCollectionScenes())},
		{"Session", sessionScenes()},
		{"Observe", slices.Concat(observeScenes(), pacingScenes(), tellingScenes())},
		{"Block", blockScenes()},
		{"Lasting", lastingScenes()},
		{"Proxy", slices.Concat(proxyScenes(), proxyBoundScenes())},
		{"Collection", collectionScenes()},
		{"Subscribers", subscriberScenes()},
		{"Call", callScenes()},
		{"Rights", slices.Concat(rightsScenes(), askedScenes())},
		{"Stream", streamScenes()},
	}
}

func TestWire(t *testing.T) {
	for _, c := range chapters() {
		for _, s := range c.scenes {
			t.Run(c.name+"/"+s.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { play(t, &s) })
			})
		}
	}
}
