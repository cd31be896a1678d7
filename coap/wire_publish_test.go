package coap

func publishScenes() []scene {
	return []scene{
		{name: "CoAP-5.8.3-1: PUT to /mqtt/{topic}, as EMQ X has it", script: `
			mqtt s subscribe a/b 2
			a > CON PUT 1 /mqtt/a/b?c=dev&u=x&p=y 'hello'
			a < ACK 2.04 1
			mqtt s got a/b 1 hello;
			a > NON PUT 2 /mqtt/a/b?c=dev&u=x&p=y 'once'
			a < NON 2.04 $n
			mqtt s got a/b 0 once;
			a > CON PUT 3 /mqtt/a/b 'who'
			a < ACK 4.00 3 'the query c=, the client id, is missing'`},
	}
}
