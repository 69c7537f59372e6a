"""Rewards of GRPO, each switchable by itself: `catalogue.CATALOGUE` names them, `functions` hands them to TRL.

One gate (`gate.Gate`) decides what is an answer at all, and no reward pays what it turns away: each scores such a
completion as it scores an empty one. A reward is None for a row only because of its example, never because of what the
completion says (or because a server failed), so that saying nothing is no way out.
"""
