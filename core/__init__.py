"""Types that all stages share: model spec, labels, metrics, options, reports, errors."""
