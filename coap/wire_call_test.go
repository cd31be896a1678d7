package coap

func callScenes() []scene {
	return []scene{
		{name: "a request of CoAP is one of MQTT 5, and its response the answer", script: `
			mqtt s subscribe lamp/set 1
			a > CON POST 1 /mqtt/lamp/set?c=dev 'x'
			a < ACK 4.05 1 *
			a > CON POST 2 /ps/lamp/set?c=dev&wait=5 tok=01 'on'
			a nothing
			mqtt s respond -done text/plain
			a < ACK 2.05 2 tok=01 ct=0 'on-done'
			a > CON POST 2 /ps/lamp/set?c=dev&wait=5 tok=01 'on'
			a < ACK 2.05 2 tok=01 ct=0 'on-done'
			a > CON PUT 3 /ps/lamp/set?c=dev&wait=5 'slow'
			wait 1s
			a < ACK EMPTY 3
			mqtt s respond -done
			a < CON 2.05 $n ct=42 'slow-done'
			a > ACK EMPTY $n`},
		{name: "a request that comes block by block has its answer, the first one of a client as well", script: `
			mqtt s subscribe lamp/set 1
			a > CON POST 1 /ps/lamp/set?c=dev&wait=5 b1=0/m/16 'x*16'
			a < ACK 2.31 1 b1=0/m/16
			a > CON POST 2 /ps/lamp/set?c=dev&wait=5 b1=1/-/16 'x*3'
			mqtt s respond -done
			a < ACK 2.05 2 ct=42 b1=1/-/16 'xxxxxxxxxxxxxxxxxxx-done'`},
		{name: "a request that nobody answers in time", script: `
			mqtt s subscribe lamp/set 1
			a > NON POST 1 /ps/lamp/set?c=dev&wait=2 'on'
			wait 2s
			a < NON 5.04 $n 'no response came in time'
			mqtt s respond -late
			a nothing
			a > CON POST 2 /ps/nobody?c=dev&wait=2 'on'
			a < ACK 5.04 2 'nobody takes this request'
			a > CON POST 3 /ps/t?c=dev&wait=x 'on'
			a < ACK 4.00 3 'wait must be a number of seconds'
			b > CON POST 4 /ps/t?c=a/b&wait=2 'on'
			b < ACK 4.00 4 'the client id or user name cannot be part of a topic'`},
		{name: "two requests at once have their own answers", script: `
			mqtt s subscribe lamp/set 1
			a > CON POST 1 /ps/lamp/set?c=dev&wait=5 tok=01 'a'
			a > CON POST 2 /ps/lamp/set?c=dev&wait=5 tok=02 'b'
			mqtt s respond !
			a < ACK 2.05 1 tok=01 ct=42 'a!'
			a < ACK 2.05 2 tok=02 ct=42 'b!'`},
		{name: "Echo-2.4-1: a request whose answer may be long is not done before the address was shown", set: func(s *setup) { s.coap.Echo = echoAnswers }, script: `
			mqtt s subscribe lamp/set 1
			a > CON POST 1 /ps/lamp/set?wait=5 'on'
			a < ACK 4.01 1 echo=$echo
			mqtt s got
			a > CON POST 2 /ps/lamp/set?wait=5 echo=$echo 'on'
			mqtt s respond -done
			a < ACK 2.05 2 ct=42 'on-done'`},
		{name: "a request that is not allowed", set: guarded, script: `
			a > CON POST 1 /ps/no/t?c=dev&u=ann&p=secret&wait=5 'on'
			a < ACK 4.03 1 'not_authorized'`},
	}
}
