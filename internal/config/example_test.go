package config_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/fairlead-iot/fairlead/internal/config"
)

// Limits stands for any package's own Config.
type Limits struct {
	MaxClients int           `toml:"max_clients" doc:"clients connected at once"`
	Idle       time.Duration `toml:"idle" doc:"silence after which a client is closed"`
}

func (l *Limits) Validate() error {
	if l.MaxClients < 1 {
		return errors.New("max_clients: must be at least 1")
	}
	return nil
}

func Example() {
	c := struct {
		Limits Limits `toml:"limits" doc:"what one gateway takes"`
	}{Limits{MaxClients: 100, Idle: time.Minute}}
	fmt.Print(string(config.Sample(&c)))
	err := config.Load(&c, config.Options{Sets: []string{"limits.max_clients=0", "limits.idel=5s"}})
	fmt.Println(err)
	// Output:
	// # what one gateway takes
	// [limits]
	// # clients connected at once
	// max_clients = 100
	// # silence after which a client is closed
	// idle = "1m"
	// --set limits.idel: limits.idel: unknown key; did you mean "limits.idle"?
	// --set limits.max_clients: limits.max_clients: must be at least 1
}
