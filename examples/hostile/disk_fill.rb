# Fills every place that it may write to.
block = "x" * (1 << 20)
File.open("/workspace/rubbish", "wb") { |file| loop { file.write(block) } }
