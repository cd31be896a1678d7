package identity

import (
	"errors"
	"fmt"
	"slices"
)

// maxRules bounds the access rules that one client may bring along.
const maxRules = 256

// RulesIn reads access rules that came as JSON with an identity, decoded into any: the
// lists {"pub": […], "sub": […], "all": […]} of topics, beyond which nothing is allowed
// (closed), or a list of {"permission", "action", "topic"}, beyond which the next source is
// asked. null is no rule of the second kind. What cannot be understood is an error.
func RulesIn(acl any) (rules []Rule, closed bool, err error) {
	switch v := acl.(type) {
	case nil:
		return nil, false, nil
	case map[string]any:
		rules, err = allowLists(v)
		closed = true
	case []any:
		rules, err = listed(v)
	default:
		err = errors.New("is neither an object nor a list")
	}
	if err == nil && len(rules) > maxRules {
		err = fmt.Errorf("has %d rules, allowed are %d", len(rules), maxRules)
	}
	return rules, closed, err
}

func allowLists(lists map[string]any) (rules []Rule, err error) {
	for name, list := range lists {
		rule := Rule{Allow: true, Publish: name == "pub" || name == "all", Subscribe: name == "sub" || name == "all"}
		if !rule.Publish && !rule.Subscribe {
			return nil, fmt.Errorf("%q: there are pub, sub and all", name)
		}
		topics, err := texts(list)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for _, rule.Topic = range topics {
			rules = append(rules, rule)
		}
	}
	return rules, nil
}

// texts takes one text, or a list of them.
func texts(v any) (list []string, err error) {
	if one, ok := v.(string); ok {
		return []string{one}, nil
	}
	all, ok := v.([]any)
	if !ok {
		return nil, errors.New("is no list of topics")
	}
	for _, v := range all {
		text, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("%v is no topic", v)
		}
		list = append(list, text)
	}
	return list, nil
}

func listed(list []any) (rules []Rule, err error) {
	for i, v := range list {
		entry, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("rule %d is no object", i+1)
		}
		rule, err := ruleOf(entry)
		if err != nil {
			return nil, fmt.Errorf("rule %d: %w", i+1, err)
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// ruleOf reads one rule. A condition that is not known here must not be passed over: a
// rule would allow, or deny, more than it says.
func ruleOf(entry map[string]any) (r Rule, err error) {
	for name := range entry {
		if !slices.Contains([]string{"permission", "action", "topic"}, name) {
			return r, fmt.Errorf("%q: rules have permission, action and topic only", name)
		}
	}
	switch entry["permission"] {
	case "allow":
		r.Allow = true
	case "deny":
	default:
		return r, fmt.Errorf("permission %v: must be allow or deny", entry["permission"])
	}
	action := entry["action"]
	r.Publish, r.Subscribe = action == "publish" || action == "all", action == "subscribe" || action == "all"
	if !r.Publish && !r.Subscribe {
		return r, fmt.Errorf("action %v: must be publish, subscribe or all", action)
	}
	topic, ok := entry["topic"].(string)
	if !ok {
		return r, errors.New("topic: is missing, or no text")
	}
	r.Topic = topic
	return r, nil
}
