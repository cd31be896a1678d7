package mysql

// IdleServer is what a Table's sessions begin with.
const IdleServer = idleServer
