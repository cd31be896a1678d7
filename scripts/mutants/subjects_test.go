package mutants

import "slices"

// subjects are the packages with checks.
func subjects() []subject {
	return []subject{
		{dir: "core", name: "core", matrix: "^TestAuthorization",
			rest:     "^Test(Enhanced|Reauthentication|Authenticat|Scram|Limits|Retained|Delayed|Rewrite|Mount|Proxy|Ban|Flapping|Takeover|Read|List|Sleep|Will|Publish|Offer|Source|Permitted|ChangeProxies)",
			harmless: slices.Concat(onlySlower(), unreachable())},
		{dir: "admin", name: "admin", matrix: "^TestAuthorizationMatrix$", rest: ".", harmless: []string{
			"administrator: always given", // no name and no password are nobody's
			"local: never err != nil",     // an address that is none is not loopback
		}},
		{dir: "backends/aclfile", name: "aclfile", matrix: ".", harmless: []string{
			"covers: always strings.HasPrefix(filter, p.head)", // the comparison behind it is the same, and slower
		}},
		{dir: ".", name: "fairlead", only: []string{"auth.go", "access.go", "certificates.go"},
			matrix: "^TestAuthorizationMatrix", rest: "^TestCertificateSource$", harmless: []string{
				"authenticateWith: always err == nil", // who cannot answer allows nothing
			}},
	}
}

// onlySlower are mutants that ask again what is known already.
func onlySlower() []string {
	return []string{
		"authorize: always d.slots == nil",
		"authorize: always v != d.version",
		"authorize: never e.session == s",
		"authorize: never e.epoch == epoch",
		"authorize: never e.action == act",
		"authorize: never e.topic == topic",
		"mayDeliver: never tg.flags&subCovered != 0",
		"mayDeliver: never tg.checked == tg.vetted",
		"mayDeliver: never !s.recheck.Load()",
		"sameRights: always a == nil",
		"sameRights: always b == nil",
		"sameRights: never a == b",
		"sameRights: never a.Superuser == b.Superuser",
		"sameRights: never a.ACL == nil",
		"sameRights: never b.ACL == nil",
		"stillVetted: always !m.vetting",
		"mayPublish: always !w.permitted",
		// These refuse more, or sooner, than they must.
		"mayResume: never !old.isDurable()",
		"mayPublish: always w.delay == 0",
		"mayStillPublish: never s.user == m.Username",
	}
}

// unreachable are mutants of what nobody gets to.
func unreachable() []string {
	return []string{
		// One session's actions on one topic have places of their own.
		"authorize: always e.action == act",
		// The case behind it refuses it in the same words.
		"Authenticate: never again",
		"Authenticate: never a.request != nil",
	}
}
