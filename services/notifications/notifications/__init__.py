"""Who is alerted of which idea, call or announcement, once, and why.

Owns: the audience (a projection of the register, with history), subjects, alerts and their read
state; partner subscriptions, feeds and partner queues.
Publishes: notifications.fanout.completed.
Consumes: registry (cooperatives, partners), ideas (ideas), funding (calls), any service
(announcements).
"""
