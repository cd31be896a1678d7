package coap

import (
	"time"
)

func messageScenes() []scene {
	return []scene{
		{name: "CoAP-3-1: another version is ignored", script: `
			a > raw 81 01 0001 00
			a nothing
			a > raw 0101
			a nothing`},
		{name: "CoAP-4.2-2 CoAP-4.2-3: a ping is answered by a reset, without state", script: `
			a > CON EMPTY 7
			a < RST EMPTY 7
			a > NON EMPTY 8
			a nothing`},
		{name: "CoAP-3-2 CoAP-3-3 CoAP-3-4 CoAP-3.1-1 CoAP-4.1-1 CoAP-4.2-1: format errors of confirmable messages", script: `
			a > raw 49 01 0001 010203040506070809 // token of 9 bytes
			a < RST EMPTY 1
			a > raw 40 01 0002 ff                 // no payload behind its marker
			a < RST EMPTY 2
			a > raw 40 25 0003                    // class 1
			a < RST EMPTY 3
			a > raw 40 c5 0004                    // class 6
			a < RST EMPTY 4
			a > raw 40 01 0005 f1 00              // option delta 15
			a < RST EMPTY 5
			a > raw 40 01 0006 1f 00              // option length 15
			a < RST EMPTY 6
			a > raw 40 01 0007 b5 61              // cut short
			a < RST EMPTY 7
			a > raw 41 00 0008 01                 // an empty message with a token
			a < RST EMPTY 8
			a > CON 2.05 9                        // a response to nothing
			a < RST EMPTY 9`},
		{name: "CoAP-4.3-1 CoAP-4.2-6: other messages that cannot be processed are ignored", script: `
			a > raw 59 01 0001 010203040506070809
			a nothing
			a > NON 2.05 2
			a nothing
			a > ACK EMPTY 3
			a nothing
			a > RST EMPTY 4
			a nothing
			a > ACK 2.05 5 'x'
			a nothing`},
		{name: "CoAP-5.4.1-1 CoAP-5.4.1-2 CoAP-5.4.1-3: options that are not known", script: `
			a > CON GET 1 /.well-known/core opt9=00
			a < ACK 4.02 1 'option Option(9) is not understood'
			a > NON GET 2 /.well-known/core opt9=00
			a nothing
			a > CON GET 3 /.well-known/core?href=/ps opt2048=00
			a < ACK 2.05 3 ct=40 '</ps>;rt="core.ps";ct=40'`},
		{name: "CoAP-5.4.3-1 CoAP-5.4.5-1: options of a wrong length, or twice", script: `
			a > CON GET 1 /.well-known/core opt17=000032 // Accept of 3 bytes
			a < ACK 4.02 1 'option Accept is not understood'
			a > CON GET 2 /.well-known/core accept=40 accept=40
			a < ACK 4.02 2 'option Accept is not understood'
			a > CON GET 3 /.well-known/core?href=/ps opt28=0102030405 // Size2 is elective
			a < ACK 2.05 3 ct=40 '</ps>;rt="core.ps";ct=40'`},
		{name: "CoAP-5.2.1-1 CoAP-5.3.1-1: the answer in the acknowledgement, with the token", script: `
			a > CON PUT 1 /mqtt/t?c=a tok=0102030405060708 'x'
			a < ACK 2.04 1 tok=0102030405060708`},
		{name: "CoAP-5.2.3-1: what is not confirmable is answered likewise", script: `
			a > NON PUT 1 /mqtt/t?c=a tok=01 'x'
			a < NON 2.04 $n tok=01`},
		{name: "CoAP-4.5-1: a repeated request is done once and answered again", script: `
			mqtt s subscribe t 0
			a > CON PUT 1 /mqtt/t?c=a tok=01 'x'
			a < ACK 2.04 1 tok=01
			a > CON PUT 1 /mqtt/t?c=a tok=01 'x'
			a < ACK 2.04 1 tok=01
			mqtt s got t 0 x;
			wait 246s
			a > CON PUT 1 /mqtt/t?c=a tok=01 'x'
			a < ACK 2.04 1 tok=01
			mqtt s got
			wait 248s
			a > CON PUT 1 /mqtt/t?c=a tok=01 'y' // EXCHANGE_LIFETIME is over
			a < ACK 2.04 1 tok=01
			mqtt s got t 0 y;`},
		{name: "CoAP-4.5-2: a repeated message that is not confirmable is ignored", script: `
			mqtt s subscribe t 0
			a > NON PUT 1 /mqtt/t?c=a tok=01 'x'
			a < NON 2.04 $n tok=01
			a > NON PUT 1 /mqtt/t?c=a tok=01 'x'
			a nothing
			mqtt s got t 0 x;`},
		{name: "CoAP-5.2.2-1 CoAP-5.2.2-2 CoAP-4.2-4: an answer that takes long comes apart, and is repeated until it is acknowledged",
			set: func(s *setup) { s.slow.delay = 5 * time.Second; s.coap.AckRandom = 1 }, script: `
			a > CON POST 9 /mqtt/connection?c=a&expiry=60 tok=09
			wait 5s
			a < ACK 2.01 9 tok=09 '$token'
			a > CON GET 10 /ps/t?c=a&t=$token obs=0 tok=0a
			wait 5s
			a < ACK 2.05 10 tok=0a obs=*
			a > CON PUT 1 /ps/t?c=a&t=$token tok=01 'x'
			a nothing
			wait 1s
			a < ACK EMPTY 1
			a > CON PUT 1 /ps/t?c=a&t=$token tok=01 'x' // repeated meanwhile
			a < ACK EMPTY 1
			wait 4s
			a < CON 2.04 $n tok=01
			a > CON PUT 1 /ps/t?c=a&t=$token tok=01 'x'
			a < ACK EMPTY 1
			wait 2s
			a < CON 2.04 $n tok=01
			wait 4s
			a < CON 2.04 $n tok=01
			a > ACK EMPTY $n
			a < CON 2.05 $o tok=0a etag=* obs=* ct=42 'x'
			a > ACK EMPTY $o
			wait 60s
			a nothing`},
		{name: "CoAP-5.7-1 CoAP-5.8-1 CoAP-5.5.2-1: what is not offered", script: `
			a > CON GET 1 opt35=636f61703a2f2f782f79
			a < ACK 5.05 1 'this is no proxy'
			a > CON GET 2 /nowhere
			a < ACK 4.04 2 'there is nothing at this path; GET /.well-known/core tells what is'
			a > CON POST 3 /mqtt/t?c=a 'x'
			a < ACK 4.05 3 'this method is not for this resource'
			a > CON DELETE 4 /mqtt/t?c=a
			a < ACK 4.05 4 'this method is not for this resource'
			a > CON PATCH 5 /ps/t 'x'
			a < ACK 4.05 5 'this method is not for this resource'`},
		{name: "NoResponse-2-1: answers that nobody wants to hear", script: `
			mqtt s subscribe t 0
			a > NON PUT 1 /mqtt/t?c=a nores=2 'x'
			a nothing
			a > CON PUT 2 /mqtt/t?c=a nores=2 'y'
			a < ACK EMPTY 2
			a > NON PUT 3 /mqtt/t?c=a&q=7 nores=2 'y'
			a < NON 4.00 $n 'qos must be 0, 1 or 2'
			a > NON PUT 4 /mqtt/t?c=a&q=7 nores=26 'y'
			a nothing
			mqtt s got t 0 x;t 0 y;`},
	}
}
