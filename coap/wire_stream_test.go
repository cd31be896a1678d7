package coap

func streamScenes() []scene {
	return []scene{
		{name: "TCP-3.2-1 TCP-5.3-1 TCP-5.3.1-1: settings first, then requests", stream: true, script: `
			mqtt s subscribe t 1
			a > MSG CSM
			a < MSG CSM opt2=040400
			a > MSG PUT tok=01 /ps/t 'x'
			a < MSG 2.04 tok=01
			mqtt s got t 1 x;
			a > MSG PUT tok=01 /ps/t 'x' // nothing is repeated here: it is another one
			a < MSG 2.04 tok=01
			mqtt s got t 1 x;
			a > MSG GET /.well-known/core?rt=core.ps
			a < MSG 2.05 ct=40 '</ps>;rt="core.ps";ct=40'
			a > MSG GET /nowhere opt9=00
			a < MSG 4.02 'option Option(9) is not understood'`},
		{name: "TCP-5.3-1: another message comes first", stream: true, script: `
			a > MSG GET /ps/t
			a < MSG CSM opt2=040400
			a < MSG ABORT 'the first message must be a CSM'
			a gone`},
		{name: "TCP-5.4-1 TCP-5.4.1-1 TCP-3.4-1: pings, and messages that are empty", stream: true, script: `
			a > MSG CSM
			a < MSG CSM opt2=040400
			a > MSG PING tok=0102
			a < MSG PONG tok=0102
			a > MSG PING tok=03 opt2=
			a < MSG PONG tok=03 opt2=
			a > MSG EMPTY
			a > MSG 2.05 tok=09 'x'
			a nothing`},
		{name: "TCP-5.2-1: an option of a signal that must be understood", stream: true, script: `
			a > MSG CSM opt7=00
			a < MSG CSM opt2=040400
			a < MSG ABORT 'an option of a signal that is not understood'
			a gone`},
		{name: "TCP-5.5-1 TCP-5.6-1: release and abort", stream: true, script: `
			a > MSG CSM
			a < MSG CSM opt2=040400
			a > MSG RELEASE
			a gone
			b > MSG CSM
			b < MSG CSM opt2=040400
			b > MSG ABORT
			b gone`},
		{name: "TCP-5.3.1-2: too large", stream: true, set: func(s *setup) { s.coap.MaxBody = 1024 }, script: `
			a > MSG CSM
			a < MSG CSM opt2=0800
			a > MSG PUT /ps/t 'x*3000'
			a < MSG ABORT *
			a gone`},
		{name: "TCP-7.1-1 TCP-5.4.1-1: notifications, and a ping that finds out whether they arrived", stream: true, script: `
			a > MSG CSM
			a < MSG CSM opt2=040400
			a > MSG POST /mqtt/connection?c=dev&expiry=60
			a < MSG 2.01 '$token'
			a > MSG GET tok=a1 /ps/t?c=dev&t=$token obs=0
			a < MSG 2.05 tok=a1 obs=*
			mqtt p publish t 1 one
			a < MSG 2.05 tok=a1 etag=* obs=* ct=42 'one'
			a < MSG PING tok=01 opt2=
			a > MSG PONG tok=01 opt2=
			mqtt p publish t 1 two
			a < MSG 2.05 tok=a1 etag=* obs=* ct=42 'two'
			a < MSG PING tok=02 opt2=
			a lost // nobody knows whether it has come
			b > MSG CSM
			b < MSG CSM opt2=040400
			b > MSG POST /mqtt/connection?c=dev
			b < MSG 2.01 '$other'
			b < MSG 2.05 tok=a1 etag=* obs=* ct=42 'two'
			b < MSG PING tok=01 opt2=
			b > MSG PONG tok=01
			b > MSG GET tok=a1 /ps/t?c=dev&t=$other obs=1
			b < MSG 2.05 tok=a1
			mqtt p publish t 1 three
			b nothing`},
		{name: "TCP-5.3.2-1 TCP-5.3.1-1: large answers are whole where the peer takes them, in blocks where it knows those", stream: true, script: `
			mqtt p retain t v*2000
			a > MSG CSM
			a < MSG CSM opt2=040400
			a > MSG GET /ps/t
			a < MSG 5.00 'the answer is larger than your Max-Message-Size'
			a > MSG CSM opt4=
			a > MSG GET /ps/t
			a < MSG 2.05 etag=* ct=42 b2=0/m/1024 size2=2000 'v*1024'
			a > MSG GET /ps/t b2=1/-/1024
			a < MSG 2.05 etag=* ct=42 b2=1/-/1024 'v*976'
			a > MSG CSM opt2=2000
			a > MSG GET /ps/t
			a < MSG 2.05 etag=* ct=42 'v*2000'`},
	}
}
