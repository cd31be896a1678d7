package mqtt

import "github.com/fairlead-iot/fairlead/core"

// rewriting makes new/X of old/X.
func rewriting(s *setup) {
	s.core.Config.Rewrite = []core.RewriteRule{{Action: "all", Source: "old/#", Re: "^old/(.+)$", Dest: "new/$1"}}
}

// mountAt mounts the clients of the scene's listener, whatever transport it has.
func mountAt(point string) func(*setup) {
	return func(s *setup) { s.core.Mounts = map[string]string{"": point, "l": point} }
}

// proxied subscribes everyone to what is for it.
func proxied(s *setup) {
	s.core.Config.Subscriptions = []core.ProxySubscription{{Filter: "to/%c", QoS: 1}}
}

// placeScenes are about topics that core leads elsewhere.
func placeScenes() []scene {
	return []scene{
		{name: "a delayed publish", script: pair + `
			p > 32 .. '$delayed/5/a' 0001 {} "1" ; 34 .. '$delayed/3/a' 0002 {02 0000000a} "2" ; 30 .. '$delayed/4/a' {} "0"
			p < 40 .. 0001 ; 50 .. 0002
			p > 62 .. 0002
			p < 70 .. 0002
			wait 2999ms
			s open
			wait 1ms
			s < 34 .. 'a' 0001 {02 00000007} "2"
			p lost
			wait 2s
			s < 30 .. 'a' {} "0" ; 32 .. 'a' 0002 {} "1"`},
		{name: "a delayed publish through an alias", in: "5", script: pair + `
			p > 30 .. '$delayed/5/a' {23 0001} "1" ; 30 .. '' {23 0001} "2"
			wait 5s
			s < 30 .. 'a' {} "1" ; 30 .. 'a' {} "2"`},
		{name: "a delay that is too long, and one that is none", script: pair + `
			p > 32 .. '$delayed/4294968/a' 0001 {} "1"
			5: p < 40 .. 0001 97
			34: p closed
			5: p > 32 .. '$delayed/soon/a' 0002 {} "1"
			5: p < 40 .. 0002 90`},
		{name: "rewritten topics", set: rewriting, script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} 'old/+' 01
			s < 90 .. 0001 {} 01
			p > @c 'c2'
			p < @ok
			p > 32 .. 'old/a' 0001 {} "1"
			p < 40 .. 0001
			s < 32 .. 'new/a' 0001 {} "1"
			s > a2 .. 0002 {} 'old/+'
			s < b0 .. 0002 [00 00]
			p > 30 .. 'old/a' {} "1"
			s open`},
		{name: "an alias stands for the topic as it was sent", in: "5", set: rewriting, script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} 'new/#' 00
			s < 90 .. 0001 {} 00
			p > @c 'c2'
			p < @ok
			p > 30 .. 'old/a' {23 0001} "1" ; 30 .. '' {23 0001} "2"
			s < 30 .. 'new/a' {} "1" ; 30 .. 'new/a' {} "2"`},
		{name: "a mount point", set: mountAt("tenant/"), script: `
			s > @c 'c1'
			s < @ok
			s > 82 .. 0001 {} '#' 02
			s < 90 .. 0001 {} 02
			p > @c 'c2'
			p < @ok
			p > 34 .. 'a' 0001 {} "v" ; 62 .. 0001
			p < 50 .. 0001 ; 70 .. 0001
			s < 34 .. 'a' 0001 {} "v"
			s > a2 .. 0002 {} '#'
			s < b0 .. 0002 [00 00]
			w > 10 .. @v 06 0000 {} 'c3' {} 'will' 'bye'
			w < @ok
			s > 82 .. 0003 {} 'will' 00
			s < 90 .. 0003 {} 00
			w lost
			s < 30 .. 'will' {} "bye"`},
		{name: "an alias for a topic below a mount point", in: "5", set: mountAt("tenant/"), script: `
			s > 10 .. @v 02 0000 {22 0001} 'c1'
			s < @ok
			s > 82 .. 0001 {} '#' 00
			s < 90 .. 0001 {} 00
			p > @c 'c2'
			p < @ok
			p > 30 .. 'abcde' {23 0001} "1" ; 30 .. '' {23 0001} "2"
			s < 30 .. 'abcde' {} "1" ; 30 .. 'abcde' {23 0001} "2"
			p > 30 .. 'abcde' {} "3"
			s < 30 .. '' {23 0001} "3"`},
		{name: "a client id that would leave its mount point", set: mountAt("of/%c/"), script: `
			s > @c 'a/b'
			5: s closed 20 .. 00 85 {}
			34: s closed 20 02 00 02`},
		{name: "a proxy subscription", set: proxied, script: `
			s > @k 'c1'
			s < @ok
			p > @c 'c2'
			p < @ok
			p > 32 .. 'to/c1' 0001 {} "1"
			p < 40 .. 0001
			s < 32 .. 'to/c1' 0001 {} "1"
			s > 40 .. 0001 ; 82 .. 0001 {} 'to/c1' 00
			s < 90 .. 0001 {} 00
			p > 32 .. 'to/c1' 0002 {} "2"   // once, at the higher QoS
			p < 40 .. 0002
			s < 32 .. 'to/c1' 0002 {} "2"
			s > 40 .. 0002 ; a2 .. 0002 {} 'to/c1'
			s < b0 .. 0002 [00 00]
			s lost
			p > 32 .. 'to/c1' 0003 {} "3"
			p < 40 .. 0003
			s > @k 'c1'
			s < @again 32 .. 'to/c1' 0003 {} "3"
			s > 40 .. 0003 ; a2 .. 0003 {} 'to/c1'
			s < b0 .. 0003 [00 00]
			p > 30 .. 'to/c1' {} "4"
			s open`},
		{name: "a delayed Will", script: pair + `
			w > 10 .. @v 06 0000 {} 'c3' {} '$delayed/5/a' 'bye'
			w < @ok
			w lost
			wait 4s
			s open
			wait 1s
			s < 30 .. 'a' {} "bye"`},
	}
}
