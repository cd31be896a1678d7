package pebble

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// What Config.Repair may say.
const (
	RepairRefuse  = "refuse"
	RepairDiscard = "discard"
)

// asideName is the folder of the data directory that takes what was set aside.
const asideName = "damaged"

// maxRepairs bounds how many damaged parts one start sets aside: each log counts
// as one.
const maxRepairs = 64

// openRepaired opens the database, setting damaged parts aside where the
// configuration allows it. Damage that was passed over is noted in s.
func (s *Store) openRepaired() (*handle, error) {
	for n := 0; ; n++ {
		h, err := openHandle(&s.cfg, s.dir, s.log, s.onFault)
		var d *DamageError
		if err == nil || s.cfg.Repair != RepairDiscard || n == maxRepairs || !errors.As(err, &d) {
			return h, err
		}
		aside, err := s.dir.setAside(d)
		if err != nil {
			return nil, fmt.Errorf("pebble: set the damaged part of %q aside: %w", s.dir.path, err)
		}
		s.discarded = true
		s.damage.Add(max(1, d.Groups), fmt.Sprintf("%s byte %d: %s", d.File, d.Offset, d.Detail))
		s.log.Error("a damaged part of the store was set aside; what it held is lost to this gateway", "file", d.File,
			slog.Int64("offset", d.Offset), slog.Uint64("lost_groups", d.Groups), "aside", aside, "why", d.Detail)
	}
}

// setAside moves what d names to a folder of its own and gives that folder's
// path: of a log, the unreadable rest; else the whole database. A crash in
// between leaves the damage as it was.
func (d *directory) setAside(e *DamageError) (aside string, err error) {
	aside = d.asideFolder()
	if err := makeDirectory(d.fs, aside); err != nil {
		return "", err
	}
	if e.File == "" || e.File == d.database() {
		if err := d.fs.Rename(d.database(), d.fs.PathJoin(aside, databaseName)); err != nil {
			return "", err
		}
		return aside, errors.Join(syncDirectory(d.fs, aside), syncDirectory(d.fs, d.path))
	}
	if err := d.copyFile(e.File, d.fs.PathJoin(aside, d.fs.PathBase(e.File)), -1); err != nil {
		return "", err
	}
	if err := syncDirectory(d.fs, aside); err != nil {
		return "", err
	}
	short := d.fs.PathJoin(d.path, d.fs.PathBase(e.File)+".short")
	if err := d.copyFile(e.File, short, e.Offset); err != nil {
		return "", err
	}
	if err := d.fs.Rename(short, e.File); err != nil {
		return "", err
	}
	return aside, syncDirectory(d.fs, d.database())
}

func (d *directory) asideFolder() string {
	return d.fs.PathJoin(d.path, asideName, time.Now().UTC().Format("20060102T150405.000000000"))
}

// copyFile copies the first n bytes of a file, all for -1, and syncs the copy.
func (d *directory) copyFile(from, to string, n int64) error {
	in, err := d.fs.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	source := io.Reader(in)
	if n >= 0 {
		source = io.LimitReader(in, n)
	}
	out, err := d.fs.Create(to, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, source)
	return errors.Join(err, out.Sync(), out.Close())
}
