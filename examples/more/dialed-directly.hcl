Kind = "proxy-defaults"
Name = "global"

Mode = "transparent"
TransparentProxy {
  DialedDirectly = true
}
