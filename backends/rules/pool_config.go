package rules

// Pool is the configuration of one pool of a database.
type Pool interface {
	// Driver is the database's.
	Driver() Driver
	// Open makes the pool, and connects nothing yet.
	Open() (Database, error)
	// Lanes is how many jobs are done side by side.
	Lanes() int
}
