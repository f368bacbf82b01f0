"""Public checks: closed forms, and conformance of anyone's own rules, oracles, objectives, penalties and networks."""
