<?php
$nothing = null;
echo $nothing->method();
