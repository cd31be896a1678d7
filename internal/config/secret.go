package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"unicode/utf8"
)

// maxSecret bounds what is read from the file of a secret.
const maxSecret = 64 << 10

// bindSecretFile sets a secret from the file that x_file names, without the
// line's end. The name is relative to the working directory.
func (l *loader) bindSecretFile(path, at string, v reflect.Value, f field, n *node) {
	l.origins[at] = n.at
	name := reflect.New(reflect.TypeFor[string]()).Elem()
	if problem, hint := setText(name, f, n); problem != "" {
		l.fault(n.at, at, problem, hint)
		return
	}
	secret, err := l.files(name.String())
	if err != nil {
		l.fault(n.at, at, quote(name.String())+" "+err.Error(), "")
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	v.SetString(secret)
	l.origins[join(path, strings.TrimSuffix(f.key, "_file"))] = n.at
}

func readSecret(name string) (string, error) {
	text, err := readFile(name, maxSecret)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	switch {
	case secret == "":
		return "", errors.New("is empty")
	case !utf8.ValidString(secret):
		return "", errors.New("is not UTF-8")
	}
	return secret, nil
}

// readFile reads a file of at most limit bytes. Its errors follow on the
// file's name.
func readFile(name string, limit int64) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", withoutName(err))
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.IsDir() {
		return nil, errors.New("is a folder, not a file")
	}
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot be read: %w", withoutName(err))
	case int64(len(text)) > limit:
		return nil, fmt.Errorf("is larger than %d KiB", limit>>10)
	}
	return text, nil
}

func withoutName(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}
