/^bounce-.*@lists\./       OK
/@(cheap|free)-.*\.example$/   554 5.7.1 no $1 offers
if !/@/
/^/  DUNNO
endif
