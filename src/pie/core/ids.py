"""Names of things. A virtual id exists only above the address space, a physical one only below it."""

from typing import NewType

InstanceId = NewType("InstanceId", str)
QueueId = NewType("QueueId", int)
"""Private to an instance: its n-th queue."""
Token = NewType("Token", int)

VirtualPage = NewType("VirtualPage", int)
VirtualEmb = NewType("VirtualEmb", int)
PhysicalPage = NewType("PhysicalPage", int)
PhysicalEmb = NewType("PhysicalEmb", int)

VirtualSlot = NewType("VirtualSlot", int)
VirtualMatcher = NewType("VirtualMatcher", int)
PhysicalSlot = NewType("PhysicalSlot", int)
PhysicalMatcher = NewType("PhysicalMatcher", int)

HostPlace = NewType("HostPlace", int)
"""Room for one page in host memory or, from `DriverSpec.host_pages` on, on disk."""
