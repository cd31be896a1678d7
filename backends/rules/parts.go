package rules

import "context"

// The most that goes to a database at once, so that one statement stays within what
// servers take.
const (
	partJobs  = 1000
	partBytes = 4 << 20
)

// InParts does jobs by calls of do, which does all of its jobs or none: at most 1000 and
// 4 MiB at once. When do says that its jobs cannot be done, halves of them are tried,
// until the one that cannot is alone. It returns what [Database].Do does.
func InParts(ctx context.Context, jobs []Job, do func(context.Context, []Job) error) (done int, err error) {
	for done < len(jobs) {
		n, err := halve(ctx, jobs[done:done+part(jobs[done:])], do)
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// part is how many jobs go at once.
func part(jobs []Job) int {
	bytes := 0
	for i := range jobs {
		if m := jobs[i].Message; m != nil {
			bytes += len(m.Payload) + len(m.Topic)
		}
		if i > 0 && (bytes > partBytes || i == partJobs) {
			return i
		}
	}
	return len(jobs)
}

func halve(ctx context.Context, jobs []Job, do func(context.Context, []Job) error) (done int, err error) {
	err = do(ctx, jobs)
	switch {
	case err == nil:
		return len(jobs), nil
	case !IsPermanent(err) || len(jobs) == 1:
		return 0, err
	}
	half := len(jobs) / 2
	if done, err = halve(ctx, jobs[:half], do); err != nil {
		return done, err
	}
	done, err = halve(ctx, jobs[half:], do)
	return half + done, err
}
