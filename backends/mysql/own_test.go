package mysql_test

import "testing"

type ownServer struct{}

func (s *ownServer) start(testing.TB) {}
func (s *ownServer) kill(testing.TB)  {}
