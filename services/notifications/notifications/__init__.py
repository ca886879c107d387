"""Who is told what, once and explained.

Owns: the audience (a projection of the register, with history), subjects, alerts and their read
state; partner subscriptions, feeds and AMQP doors.
Announces: notifications.fanout.completed.
Listens to: registry (cooperatives, partners), ideas (ideas), funding (calls), any service
(announcements).
"""
