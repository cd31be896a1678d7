package main

import (
	"context"
	"errors"

	"github.com/fairlead-iot/fairlead/devices/fleet"
)

func (t *terminal) embed(context.Context, *fleet.Options) (func(), error) {
	return nil, errors.New("not yet")
}
