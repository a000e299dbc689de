print(_VERSION .. " says hello to " .. ...)
