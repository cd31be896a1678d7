package mutants

// subjects are the packages with checks.
func subjects() []subject {
	return []subject{
		{dir: "core", name: "core", matrix: "^TestAuthorizationMatrix$", rest: "."},
		{dir: "admin", name: "admin", matrix: "^TestAuthorizationMatrix$", rest: "."},
	}
}
