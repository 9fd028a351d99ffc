# Every service talks through the mesh without being told to.
Kind = "proxy-defaults"
Name = "global"

TransparentProxy = true
