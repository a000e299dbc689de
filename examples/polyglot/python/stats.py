import sys

import names
import stats_of

numbers = [float(word) for word in sys.argv[1:]]
print(f"{names.MEAN} {stats_of.mean(numbers):g} {names.MEDIAN} {stats_of.median(numbers):g}")
