"""How the processes of one hub hear of each other: a seam, in process by default, NATS for several.

The database stays the truth. What goes over a bus are hints ("look at the outbox of this agent")
and events ("this order has ended"): losing one delays somebody, and loses no order.
"""
