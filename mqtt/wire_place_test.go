package mqtt

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
