package hashes

import (
	"fmt"

	"golang.org/x/crypto/blowfish" //lint:ignore SA1019 bcrypt is made of it
)

// What bcrypt has in place of parameters, in bytes.
const (
	BcryptSalt = 16 // of its salt
	BcryptSize = 23 // of its hash: the last byte of three blocks was never written down
)

// bcrypt makes a hash as golang.org/x/crypto/bcrypt does, which makes none with a given
// salt: it compares, and so would have to be told the right hash. Of the password 72 bytes
// count.
func bcrypt(password, salt []byte, cost uint32) ([]byte, error) {
	key := make([]byte, len(password)+1) // what ends a text in C was hashed, too
	copy(key, password)
	defer clear(key)
	c, err := blowfish.NewSaltedCipher(key, salt)
	if err != nil {
		return nil, fmt.Errorf("hashes: bcrypt: %w", err)
	}
	for range 1 << cost {
		blowfish.ExpandKey(key, c)
		blowfish.ExpandKey(salt, c)
	}
	text := []byte("OrpheanBeholderScryDoubt")
	for block := text; len(block) > 0; block = block[blowfish.BlockSize:] {
		for range 64 {
			c.Encrypt(block, block)
		}
	}
	return text[:BcryptSize], nil
}
