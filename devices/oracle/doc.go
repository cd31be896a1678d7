// Package oracle judges a broker by what a fleet of devices saw: it takes the fleet's
// events and knows from them what had to arrive, so that loss, duplicates, reorder,
// wrong retained messages and wrong Wills are found. It runs beside the fleet, or
// afterwards, and knows nothing of how the devices speak.
package oracle
