from manypaths.cli import main

main()
