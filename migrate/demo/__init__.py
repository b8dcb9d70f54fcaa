"""The demo: a sample directory of a thousand accounts, and a campaign lived through on it day by day.

`config` is the campaign as a configuration file, `people` who is in the directory, `moves` what one of them may do on a day, `world` the
directory those days leave behind, `calendar` when cron fires, `journey` the walk through it all, and `tour` what is told of it.
"""
