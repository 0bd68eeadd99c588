# The material with neml2's own flow rule.

!include flow.i
!include material.i
