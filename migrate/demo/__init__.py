"""The demo: a sample directory of a thousand accounts, and a campaign on it day by day.

`config` is the campaign as a configuration file, `people` who is in the directory, `moves` what one person may do on a day, `world` the
directory as it changes, `calendar` when cron starts the job, `journey` goes through all days, and `tour` is the story that is printed.
"""
