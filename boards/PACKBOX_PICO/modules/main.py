import box_app

box_app.main()
