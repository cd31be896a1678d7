package hashes

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	xbcrypt "golang.org/x/crypto/bcrypt"
)

// text is how bcrypt writes bytes.
func text(b []byte) string {
	const alphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	return base64.NewEncoding(alphabet).WithPadding(base64.NoPadding).EncodeToString(b)
}

// What others have written: argon2's own tests, crypt and hashlib of Python, RFC 6070 and
// its like for SHA-2, and the vectors of crypt_blowfish.
func TestGoldenHashes(t *testing.T) {
	salt := func(s string) []byte {
		b, err := base64.NewEncoding("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789").WithPadding(base64.NoPadding).DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	blow := func(cost uint32, s string) *Request {
		return &Request{Algorithm: Bcrypt, Rounds: cost, Salt: salt(s), Size: BcryptSize}
	}
	pbkdf2 := func(sum crypto.Hash, rounds uint32, size int, salt string) *Request {
		return &Request{Algorithm: PBKDF2, Sum: sum, Rounds: rounds, Size: size, Salt: []byte(salt)}
	}
	argon2 := &Request{Algorithm: Argon2id, Costs: Costs{Memory: 256, Passes: 2, Threads: 1}, Salt: []byte("somesalt"), Size: 32}
	for _, c := range []struct {
		name, password, want string
		r                    *Request
	}{
		{"argon2id", "password", "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe", argon2},
		{"bcrypt", "public", "gsIfaxtfOXfqcbeqrT.B.za9AKJIeVK", blow(5, "DdTqVtGqEeg1q56Tn7mFe.")},
		{"bcrypt U*U", "U*U", "E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", blow(5, "CCCCCCCCCCCCCCCCCCCCC.")},
		{"bcrypt, nothing", "", "7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy", blow(5, "CCCCCCCCCCCCCCCCCCCCC.")},
		{"bcrypt, 72 bytes count", "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789chars after 72 are ignored", "5s2v8.iXieOjg/.AySBTTZIIVFJeBui", blow(5, "abcdefghijklmnopqrstuu")},
		{"pbkdf2 sha1", "password", "4b007901b765489abead49d926f721d065a429c1", pbkdf2(crypto.SHA1, 4096, 20, "salt")},
		{"pbkdf2 sha256", "public", "5a21f11c597da1447641c0a5ba58b856a76f1084", pbkdf2(crypto.SHA256, 1000, 20, "salt")},
		{"pbkdf2 sha512", "password", "d197b1b33db0143e018b12f3d1d1479e6cdebdcc97c5c0f87f6902e072f457b5143f30602641b3d55cd335988cb36b84376060ecd532e039b742a239434af2d5", pbkdf2(crypto.SHA512, 4096, 64, "salt")},
	} {
		got := hex.EncodeToString(alone(t, c.r, c.password))
		if c.r.Algorithm == Bcrypt {
			got = text(alone(t, c.r, c.password))
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if other := alone(t, c.r, "x"+c.password); bytes.Equal(other, alone(t, c.r, c.password)) {
			t.Errorf("%s: two passwords have one hash", c.name)
		}
	}
}

// TestBcryptIsThatOfOthers: whatever the password, the library that compares finds it right.
func TestBcryptIsThatOfOthers(t *testing.T) {
	passwords := []string{"", "x", "\x00", "x\x00y", "\xff\xff\xa3", strings.Repeat("é", 36)}
	for n := 70; n < 76; n++ {
		passwords = append(passwords, strings.Repeat("0123456789", 8)[:n])
	}
	passwords = append(passwords, strings.Repeat("p", MaxPassword))
	for i, password := range passwords {
		salt := bytes.Repeat([]byte{byte(37 * i)}, BcryptSalt)
		cost := uint32(4 + i%2)
		hash := alone(t, &Request{Algorithm: Bcrypt, Rounds: cost, Salt: salt, Size: BcryptSize}, password)
		whole := fmt.Sprintf("$2b$%02d$%s%s", cost, text(salt), text(hash))
		if err := xbcrypt.CompareHashAndPassword([]byte(whole), []byte(password)); err != nil {
			t.Errorf("a password of %d bytes, cost %d: %v", len(password), cost, err)
		}
	}
}

// TestBounds: what is beyond them, or means nothing, is refused and makes no hash.
func TestBounds(t *testing.T) {
	for _, r := range all() {
		if err := r.Validate(); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
	const argon2id, bcrypt, pbkdf2 = 0, 6, 10
	if r := all(); r[argon2id].Algorithm != Argon2id || r[bcrypt].Algorithm != Bcrypt || r[pbkdf2].Algorithm != PBKDF2 {
		t.Fatal("the requests stand in another order")
	}
	for name, c := range map[string]struct {
		of     int
		change func(*Request)
	}{
		"no algorithm": {argon2id, func(r *Request) { r.Algorithm = 0 }}, "a fourth": {argon2id, func(r *Request) { r.Algorithm = 4 }},
		"memory": {argon2id, func(r *Request) { r.Memory = maxMemory + 1 }}, "no memory": {argon2id, func(r *Request) { r.Memory = 7 }},
		"work": {argon2id, func(r *Request) { r.Memory, r.Passes = maxMemory, 5 }}, "passes": {argon2id, func(r *Request) { r.Passes = 17 }},
		"no passes": {argon2id, func(r *Request) { r.Passes = 0 }}, "work beyond numbers": {argon2id, func(r *Request) { r.Memory, r.Passes = 1<<16, 1<<16 }},
		"no threads": {argon2id, func(r *Request) { r.Threads = 0 }}, "threads": {argon2id, func(r *Request) { r.Memory, r.Threads = 1024, 17 }},
		"short salt": {argon2id, func(r *Request) { r.Salt = r.Salt[:7] }}, "small hash": {argon2id, func(r *Request) { r.Size = 15 }}, "large hash": {argon2id, func(r *Request) { r.Size = 65 }},
		"argon2id with rounds": {argon2id, func(r *Request) { r.Rounds = 1 }}, "argon2id with a sum": {argon2id, func(r *Request) { r.Sum = crypto.SHA256 }},
		"bcrypt cost": {bcrypt, func(r *Request) { r.Rounds = maxCost + 1 }}, "no bcrypt cost": {bcrypt, func(r *Request) { r.Rounds = minCost - 1 }}, "bcrypt cost 31": {bcrypt, func(r *Request) { r.Rounds = 31 }},
		"bcrypt salt": {bcrypt, func(r *Request) { r.Salt = r.Salt[:15] }}, "bcrypt size": {bcrypt, func(r *Request) { r.Size = 24 }},
		"bcrypt with costs": {bcrypt, func(r *Request) { r.Threads = 1 }}, "bcrypt with a sum": {bcrypt, func(r *Request) { r.Sum = crypto.MD5 }},
		"no sum": {pbkdf2, func(r *Request) { r.Sum = 0 }}, "md4": {pbkdf2, func(r *Request) { r.Sum = crypto.MD4 }}, "md5 and sha1": {pbkdf2, func(r *Request) { r.Sum = crypto.MD5SHA1 }},
		"no iterations": {pbkdf2, func(r *Request) { r.Rounds = 0 }}, "iterations": {pbkdf2, func(r *Request) { r.Rounds = maxIterations + 1 }},
		"nothing": {pbkdf2, func(r *Request) { r.Size = 0 }}, "less": {pbkdf2, func(r *Request) { r.Size = -1 }}, "much": {pbkdf2, func(r *Request) { r.Size = 65 }}, "pbkdf2 with costs": {pbkdf2, func(r *Request) { r.Memory = 8 }},
	} {
		r := all()[c.of]
		c.change(r)
		if hash, err := r.Hash([]byte("x")); err == nil || r.Validate() == nil {
			t.Errorf("%s: %x", name, hash)
		}
	}
	if hash, err := cheap().Hash(make([]byte, MaxPassword+1)); err == nil {
		t.Errorf("a password beyond its bound: %x", hash)
	}
}
