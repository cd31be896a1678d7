package coap

func blockScenes() []scene {
	return []scene{
		{name: "Block-2.4-1 Block-2.4-2 Block-4-1 Block-2.2-1: a long value comes in blocks", set: func(s *setup) { s.coap.BlockSize = 64 }, script: `
			mqtt p retain t v*150
			a > CON GET 1 /ps/t tok=01
			a < ACK 2.05 1 tok=01 etag=$e ct=42 b2=0/m/64 size2=150 'v*64'
			a > CON GET 2 /ps/t tok=01 b2=1/-/64
			a < ACK 2.05 2 tok=01 etag=$e ct=42 b2=1/m/64 'v*64'
			a > CON GET 3 /ps/t tok=01 b2=2/-/64
			a < ACK 2.05 3 tok=01 etag=$e ct=42 b2=2/-/64 'v*22'
			a > CON GET 4 /ps/t tok=01 b2=3/-/64
			a < ACK 4.00 4 tok=01 'there is no such block'`},
		{name: "Block-2.3-1: a client may ask for smaller blocks, also on the way, and a server for smaller ones than the client's", set: func(s *setup) { s.coap.BlockSize = 64 }, script: `
			mqtt p retain t v*100
			a > CON GET 1 /ps/t b2=0/-/32
			a < ACK 2.05 1 etag=* ct=42 b2=0/m/32 size2=100 'v*32'
			a > CON GET 2 /ps/t b2=2/-/16
			a < ACK 2.05 2 etag=* ct=42 b2=2/m/16 'v*16'
			a > CON GET 3 /ps/t b2=0/-/1024
			a < ACK 2.05 3 etag=* ct=42 b2=0/m/64 size2=100 'v*64'
			a > CON GET 4 /ps/t b2=0/-/16 // short values, too
			a < ACK 2.05 4 etag=* ct=42 b2=0/m/16 size2=100 'v*16'`},
		{name: "Block-2.2-2: the reserved size", script: `
			a > CON GET 1 /ps/t b2=0/-/2048
			a < ACK 4.00 1 'block size exponent 7'
			a > CON PUT 2 /ps/t b1=0/-/2048 'x'
			a < ACK 4.00 2 'block size exponent 7'`},
		{name: "Block-2.5-1 Block-2.5-3: a long payload comes in blocks, and is published once it is whole", script: `
			mqtt s subscribe t 1
			a > CON PUT 1 /ps/t b1=0/m/16 'x*16'
			a < ACK 2.31 1 b1=0/m/16
			a > CON PUT 2 /ps/t b1=1/m/16 'x*16'
			a < ACK 2.31 2 b1=1/m/16
			a > CON PUT 2 /ps/t b1=1/m/16 'x*16' // repeated
			a < ACK 2.31 2 b1=1/m/16
			mqtt s got
			a > CON PUT 3 /ps/t b1=2/-/16 'x*3'
			a < ACK 2.04 3 b1=2/-/16
			mqtt s got t 1 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx;`},
		{name: "Block-2.5-1: a payload of one block", script: `
			mqtt s subscribe t 1
			a > CON PUT 1 /ps/t b1=0/-/16 'x'
			a < ACK 2.04 1 b1=0/-/16
			mqtt s got t 1 x;`},
		{name: "Block-2.9.2-1 Block-2.5-2: gaps, and beginning anew", script: `
			mqtt s subscribe t 1
			a > CON PUT 1 /ps/t b1=1/m/16 'x*16'
			a < ACK 4.08 1 'blocks are missing; begin again with the first'
			a > CON PUT 2 /ps/t b1=0/m/16 'a*16'
			a < ACK 2.31 2 b1=0/m/16
			a > CON PUT 3 /ps/t b1=2/-/16 'x'
			a < ACK 4.08 3 'blocks are missing; begin again with the first'
			a > CON PUT 4 /ps/t b1=0/m/16 'b*16'
			a < ACK 2.31 4 b1=0/m/16
			a > CON PUT 5 /ps/t b1=0/m/16 'c*16'
			a < ACK 2.31 5 b1=0/m/16
			a > CON PUT 6 /ps/t b1=1/m/16 'short'
			a < ACK 4.08 6 'blocks are missing; begin again with the first'
			mqtt s got`},
		{name: "Block-2.9.3-1: too large", set: func(s *setup) { s.coap.MaxBody = 1024 }, script: `
			a > CON PUT 1 /ps/t b1=0/m/1024 size1=1025 'x*1024'
			a < ACK 4.13 1 size1=1024 'the payload is too large'
			a > CON PUT 2 /ps/t b1=0/m/1024 'x*1024'
			a < ACK 2.31 2 b1=0/m/1024
			a > CON PUT 3 /ps/t b1=1/-/1024 'x'
			a < ACK 4.13 3 size1=1024 'the payload is too large'`},
		{name: "Block-2.5-4: memory is bounded, in time, for a client and for all", set: func(s *setup) {
			s.coap.MaxBody, s.coap.MaxTransferBytes = 1024, 1024
		}, script: `
			a > CON PUT 1 /ps/t b1=0/m/512 'x*512'
			a < ACK 2.31 1 b1=0/m/512
			b > CON PUT 1 /ps/t b1=0/m/1024 'x*1024'
			b < ACK 5.03 1 maxage=10 'too many transfers are under way'
			wait 118s
			a > CON PUT 2 /ps/t 'stay'
			a < ACK 2.04 2
			wait 118s
			a > CON PUT 3 /ps/t 'stay'
			a < ACK 2.04 3
			wait 12s
			b > CON PUT 2 /ps/t b1=0/m/1024 'x*1024'
			b < ACK 2.31 2 b1=0/m/1024
			a > CON PUT 4 /ps/t b1=1/-/512 'x'
			a < ACK 4.08 4 'blocks are missing; begin again with the first'`},
		{name: "Echo-3.3-1: Request-Tag keeps transfers apart", script: `
			mqtt s subscribe t 1
			a > CON PUT 1 /ps/t b1=0/m/16 tag=01 'a*16'
			a < ACK 2.31 1 b1=0/m/16
			a > CON PUT 2 /ps/t b1=0/m/16 tag=02 'b*16'
			a < ACK 2.31 2 b1=0/m/16
			a > CON PUT 3 /ps/t b1=1/-/16 tag=01 'A'
			a < ACK 2.04 3 b1=1/-/16
			mqtt s got t 1 aaaaaaaaaaaaaaaaA;`},
	}
}
